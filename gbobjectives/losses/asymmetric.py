"""Other losses of the residual r = f - y: asymmetric, with a dead zone, powers (identity link)."""

__all__: list[str] = []
