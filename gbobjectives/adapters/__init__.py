"""What a boosting library calls: unpack, call, hand back; no mathematics."""
