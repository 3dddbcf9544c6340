"""Custom objectives for gradient boosting: exact derivatives, curvature that is safe.

    objective = loss x curvature x scale

A loss (`HuberLoss`, `FocalLoss`, ...) is value, gradient and Hessian with respect to the raw
prediction. An `Objective` adds the curvature that is handed to the trees, and the unit. The
adapters `gbobjectives.xgb` and `gbobjectives.lgb` turn either into what XGBoost and LightGBM
call, or train a model that predicts the response by itself; `gbobjectives.hgb` and
`gbobjectives.cat` are for scikit-learn's histogram gradient boosting and for CatBoost.

>>> import gbobjectives as gbo
>>> gbo.get_loss("log_cosh")
LogCoshLoss()
"""

from importlib.metadata import PackageNotFoundError, version

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
    __version__ = version("gbobjectives")
except PackageNotFoundError:  # pragma: no cover - a checkout that was not installed
    __version__ = "0+unknown"
