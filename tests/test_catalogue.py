"""What the catalogue owes: every name resolves, every loss is there, and stays small."""

import ast
import inspect
import re
from dataclasses import fields

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.losses import LOSSES, METRICS_ONLY

#: Class names and aliases that must resolve; parameters where there is no default.
NAMES = {
    "SquaredErrorLoss": "squared_error mse l2",
    "HuberLoss": "huber smooth_l1",
    "LogCoshLoss": "log_cosh logcosh",
    "PseudoHuberLoss": "pseudo_huber",
    "FairLoss": "fair",
    "AbsoluteErrorLoss": "absolute_error mae l1",
    "QuantileLoss": "quantile pinball",
    "CauchyLoss": "cauchy",
    "WelschLoss": "welsch",
    "GemanMcClureLoss": "geman_mcclure",
    "TukeyLoss": "tukey",
    "StudentTLoss": "student_t",
    "BarronLoss": "barron",
    "ExpectileLoss": "expectile",
    "EpsilonInsensitiveLoss": "epsilon_insensitive svr",
    "SquaredEpsilonInsensitiveLoss": "squared_epsilon_insensitive",
    "LqLoss": "lq",
    "LinexLoss": "linex",
    "CosineSimilarityLoss": "cosine_similarity cosine_proximity",
    "AbsolutePercentageErrorLoss": "absolute_percentage_error mape",
    "SymmetricAbsolutePercentageErrorLoss": "symmetric_absolute_percentage_error smape",
    "SquaredPercentageErrorLoss": "squared_percentage_error rmspe",
    "SquaredLogErrorLoss": "squared_log_error msle rmsle",
    "Log1pSquaredErrorLoss": "log1p_squared_error msle_log1p",
    "PoissonLoss": "poisson",
    "GammaLoss": "gamma",
    "TweedieLoss": "tweedie",
    "NegativeBinomialLoss": "negative_binomial",
    "InverseGaussianLoss": "inverse_gaussian",
    "LogLoss": "log bce binary_crossentropy logistic log_loss",
    "BalancedLogLoss": "balanced_log balanced_cross_entropy",
    "FocalLoss": "focal",
    "HingeLoss": "hinge",
    "SquaredHingeLoss": "squared_hinge",
    "SmoothedHingeLoss": "smoothed_hinge",
    "ModifiedHuberLoss": "modified_huber",
    "PerceptronLoss": "perceptron",
    "ExponentialLoss": "exponential adaboost",
    "HingeEmbeddingLoss": "hinge_embedding",
    "AsymmetricLoss": "asymmetric",
    "AsymmetricCrossEntropyLoss": "asymmetric_cross_entropy",
    "PolyLoss": "poly",
    "GeneralizedCrossEntropyLoss": "generalized_cross_entropy",
    "SymmetricCrossEntropyLoss": "symmetric_cross_entropy",
    "LDAMLoss": "ldam",
    "BrierLoss": "brier",
    "ZeroOneLoss": "zero_one accuracy",
    "CrossEntropyLoss": "cross_entropy categorical_crossentropy sparse_categorical_crossentropy "
    "nll softmax",
    "SoftmaxFocalLoss": "softmax_focal",
    "KLDivergenceLoss": "kl_divergence kld kullback_leibler_divergence",
    "CategoricalHingeLoss": "categorical_hinge",
    "OneVsRestLoss": "one_vs_rest multiclassova multilabel",
    "NoiseContrastiveLoss": "noise_contrastive nce",
    "OrdinalLogitLoss": "ordinal_logit",
    "MultiOutputLoss": "multi_output",
    "DiceLoss": "dice f1",
    "TverskyLoss": "tversky",
    "SelfAdjustingDiceLoss": "self_adjusting_dice dsc",
    "FocalDiceLoss": "focal_dice",
    "GradientHarmonizedLoss": "gradient_harmonized ghm",
    "CoxLoss": "cox",
    "CoupledSumLoss": "coupled_sum",
    "CTCLoss": "ctc",
    "TripletMarginLoss": "triplet_margin triplet",
    "MarginRankingLoss": "margin_ranking pairwise_hinge",
    "PairwiseLogisticLoss": "pairwise_logistic ranknet",
    "LambdaNDCGLoss": "lambda_ndcg lambdarank",
    "ListNetLoss": "list_net listnet",
    "XENDCGLoss": "xendcg rank_xendcg xe_ndcg",
    "RawPenalty": "raw_penalty",
    "SumLoss": "sum",
}
REQUIRED = {
    "CosineSimilarityLoss": {"n_outputs": 2},
    "CrossEntropyLoss": {"n_classes": 3},
    "SoftmaxFocalLoss": {"n_classes": 3},
    "KLDivergenceLoss": {"n_classes": 3},
    "CategoricalHingeLoss": {"n_classes": 3},
    "OneVsRestLoss": {"binary": "log", "n_classes": 3},
    "NoiseContrastiveLoss": {"n_classes": 3},
    "CTCLoss": {"n_symbols": 3},
    "OrdinalLogitLoss": {"n_classes": 3},
    "MultiOutputLoss": {"losses": ["huber", "poisson"]},
    "RawPenalty": {"l2": 1.0},
    "CoupledSumLoss": {"terms": [[0.5, {"loss": "dice"}]]},
    "SumLoss": {"terms": [[0.5, {"loss": "huber"}]]},
}


@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls, names in NAMES.items() for name in names.split()]
)
def test_every_name_resolves(cls, name):
    loss = gbo.get_loss(name, **REQUIRED.get(cls, {}))
    assert type(loss) is getattr(gbo, cls)
    assert loss.name == NAMES[cls].split()[0]


def test_the_list_above_is_the_catalogue():
    assert {cls.__name__ for cls in (LOSSES | METRICS_ONLY).values()} == set(NAMES)
    assert set(gbo.list_losses()) == set(LOSSES)


def repr_of_bad(value):
    return type(value).__name__


NUMBERS = [
    (cls, field.name)
    for cls in LOSSES.values()
    for field in fields(cls)
    if isinstance(field.default, int | float) and not isinstance(field.default, bool)
]


@pytest.mark.parametrize("bad", ["x", np.nan, object(), 1j, True], ids=repr_of_bad)
@pytest.mark.parametrize(("cls", "name"), NUMBERS, ids=lambda v: getattr(v, "__name__", v))
def test_a_parameter_that_is_no_number_is_refused_by_name(cls, name, bad):
    given = REQUIRED.get(cls.__name__, {})
    with pytest.raises((ValueError, TypeError), match=rf"^{cls.__name__}: {name}"):
        cls(**given | {name: bad})


@pytest.mark.parametrize("cls", LOSSES.values(), ids=lambda c: c.__name__)
def test_a_guarantee_that_is_not_proved_is_explained(cls):
    named = {rule.guarantee for rule in cls.rules.values()}
    for guarantee in named & {"heuristic", "no_overshoot", "descent", "majorizer"}:
        word = guarantee.replace("majorizer", "majoriz").replace("no_overshoot", "no_overshoot")
        texts = [inspect.getdoc(base) or "" for base in cls.__mro__]
        assert any(word in text for text in texts), f"{cls.__name__} does not speak of {guarantee}"


def code_lines(cls) -> int:
    """Lines of a class without its docstring, blank lines and comments."""
    tree = ast.parse(inspect.getsource(cls))
    body = tree.body[0]
    doc = body.body[0]
    skipped = set(range(doc.lineno, doc.end_lineno + 1)) if ast.get_docstring(body) else set()
    lines = inspect.getsource(cls).splitlines()
    return sum(
        bool(line.strip()) and not re.match(r"\s*#", line) and i not in skipped
        for i, line in enumerate(lines, 1)
    )


def test_a_loss_is_a_few_lines():
    sizes = sorted(code_lines(cls) for cls in LOSSES.values())
    assert sizes[len(sizes) // 2] <= 40
    assert sizes[-1] <= 150
