"""Custom objectives for gradient boosting: exact derivatives, curvature that is safe.

    objective = loss x curvature x scale

Training: `train` of `xgb`, `lgb` and `cat` takes what the library's own does, and ``loss=``: a
loss, its name, or an `Objective`. It sets intercept, link and metric; the model predicts the
response by itself, also after saving, where gbobjectives is not installed.

>>> import numpy as np, lightgbm, xgboost
>>> import gbobjectives as gbo
>>> x = np.arange(100.0).reshape(-1, 1)
>>> y = 2.0 ** (x[:, 0] > 49)
>>> model = gbo.xgb.train({"max_depth": 1}, xgboost.DMatrix(x, y), 50, loss=gbo.PoissonLoss())
>>> model.predict(xgboost.DMatrix(x[[0, -1]])).round(1)
array([1., 2.], dtype=float32)
>>> params = {"num_leaves": 2, "verbosity": -1}
>>> model = gbo.lgb.train(params, lightgbm.Dataset(x, y), 50, loss="poisson")
>>> model.predict(x[[0, -1]]).round(1)
array([1., 2.])

CatBoost models predict raw scores; scikit-learn's histogram gradient boosting takes the loss.

>>> import catboost, sklearn.ensemble
>>> params = {"depth": 1, "logging_level": "Silent"}
>>> model = gbo.cat.train(params, catboost.Pool(x, y), 200, loss="poisson")
>>> model.predict(x[[0, -1]], prediction_type="Exponent").round(1)
array([1., 2.])
>>> model = sklearn.ensemble.HistGradientBoostingRegressor(loss=gbo.hgb.loss("poisson")).fit(x, y)
>>> model.predict(x[[0, -1]]).round(1)
array([1., 2.])

With the library's own `train` use `xgb.objective` and `xgb.metric`, `lgb.objective` and so on.

Losses: `list_losses` names them, ``help(gbo.HuberLoss)`` says what one estimates and where it
is from. Sums are losses, and wrappers weigh, smooth or mask: `ClassWeighted`, `Masked`, ...

>>> loss = 0.7 * gbo.HuberLoss(delta=1.0) + 0.3 * gbo.QuantileLoss(0.9, delta=1.0)
>>> loss.gradient([0.0, 0.0], [0.5, -4.0]).round(2), loss.guarantee("safe")
(array([ 0.25, -1.24]), 'majorizer')

Curvature and scale: ``hessian`` is the exact second derivative, and a leaf that steps by it may
stall or blow up; ``curvature`` is positive, and says what is proved of it: see
`gbobjectives.curvature`. Residual losses are divided by its mean, so that ``reg_lambda`` means the
same in any unit.

>>> huber = gbo.HuberLoss(delta=1.0)
>>> huber.hessian([0.0], [4.0]), huber.curvature([0.0], [4.0], "safe"), huber.guarantee("safe")
(array([0.]), array([0.25]), 'majorizer')
>>> objective = gbo.Objective(huber, curvature="exact", scale=None)  # as built-ins do

A loss of one's own is a formula, a function that JAX or PyTorch differentiates (`from_value`),
or a class of three short methods (`ResidualLoss`, `MarginLoss`, `RowLoss`, `GroupLoss`,
`CoupledLoss`); `gbobjectives.testing.check_loss` holds it to what it promises.

>>> mine = gbo.from_expression("log(cosh(f - y))", convex=True)
>>> len(gbo.testing.check_loss(mine).failures)
0

Metrics know link, weights and direction; as functions of responses they are in `metrics`.

>>> gbo.Metric("accuracy")([1.0, 0.0], [2.0, -1.0], given="response")
1.0
>>> float(gbo.metrics.mae([1.0, 2.0], [1.0, 4.0], sample_weight=[3.0, 1.0]))
0.5

Estimators take ``loss=`` and its parameters, in a grid search too.

>>> model = gbo.lgb.LGBMLossRegressor(loss="huber", loss__delta=2.0, verbosity=-1).fit(x, y)
>>> gbo.loss_of(model), gbo.predict(model, x[:1]).round(1)
(HuberLoss(delta=2.0), array([1.]))

When in doubt: `diagnose` before training, a `Monitor` during it, and pictures after it
(`plot_loss`, `plot_history`, `plot_curvature_report`, `plot_coverage`, `plot_calibration`).

>>> found = gbo.diagnose("squared_error", y, params={"min_child_weight": 1000})
>>> found.findings[0].name, found.findings[0].change
('no split possible', 'set min_child_weight to 10')
>>> watched = gbo.Monitor({"eta": 0.1}, "lightgbm").watch("huber")  # train with loss=watched

From a shell: ``gbobjectives list --task binary``, and ``show focal``, ``demo``,
``check my_losses.py:MyLoss`` or ``plot huber --delta 1 2 5 -o huber.png``.

Where to look next: ``help(gbo.xgb.train)``, ``help(gbo.Loss)``, ``help(gbo.curvature)``; the README
and its examples.
"""

from importlib import metadata as _metadata

from gbobjectives import testing as testing
from gbobjectives.adapters import catboost as cat
from gbobjectives.adapters import lightgbm as lgb
from gbobjectives.adapters import sklearn as hgb
from gbobjectives.adapters import xgboost as xgb
from gbobjectives.adapters.saved import *
from gbobjectives.autodiff import *
from gbobjectives.diagnosis import Diagnosis as Diagnosis
from gbobjectives.diagnosis import Finding as Finding
from gbobjectives.diagnosis import diagnose as diagnose
from gbobjectives.expressions import *
from gbobjectives.links import Interval as Interval
from gbobjectives.links import Link as Link
from gbobjectives.losses import get_loss as get_loss
from gbobjectives.losses import list_losses as list_losses
from gbobjectives.losses.amount import *
from gbobjectives.losses.asymmetric import *
from gbobjectives.losses.base import Loss as Loss
from gbobjectives.losses.binary import *
from gbobjectives.losses.binary_variants import *
from gbobjectives.losses.classes import *
from gbobjectives.losses.composition import *
from gbobjectives.losses.count import *
from gbobjectives.losses.coupled import *
from gbobjectives.losses.coupled_sum import *
from gbobjectives.losses.decision import *
from gbobjectives.losses.density import *
from gbobjectives.losses.embedding import *
from gbobjectives.losses.hinge import *
from gbobjectives.losses.kinds import *
from gbobjectives.losses.listwise import *
from gbobjectives.losses.logarithmic import *
from gbobjectives.losses.multiclass import *
from gbobjectives.losses.multiclass_variants import *
from gbobjectives.losses.pairwise import *
from gbobjectives.losses.power import *
from gbobjectives.losses.quantile import *
from gbobjectives.losses.ranking import *
from gbobjectives.losses.redescending import *
from gbobjectives.losses.relative import *
from gbobjectives.losses.residual import *
from gbobjectives.losses.robust import *
from gbobjectives.losses.sampled import *
from gbobjectives.losses.sequence import *
from gbobjectives.losses.several import *
from gbobjectives.losses.survival import *
from gbobjectives.losses.wrapping import *
from gbobjectives.metrics import Metric as Metric
from gbobjectives.monitoring import *
from gbobjectives.objective import Objective as Objective
from gbobjectives.plotting import *
from gbobjectives.reports import *

try:
    __version__ = _metadata.version("gbobjectives")
except _metadata.PackageNotFoundError:  # pragma: no cover - a checkout that was not installed
    __version__ = "0+unknown"
