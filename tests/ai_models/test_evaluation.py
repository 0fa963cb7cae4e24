"""The figures are right, and nothing that flatters gets into them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ai_models.errors import DataError
from ai_models.evaluation.baseline import cross_validated_scores, fitted_scores
from ai_models.evaluation.cases import read_cases
from ai_models.evaluation.evaluate import evaluate
from ai_models.evaluation.metrics import auc, auc_interval, calibration_error, share_interval
from ai_models.registry import open_bundle
from ai_models.training.thresholds import at_sensitivity, at_specificity


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-5, 5).map(lambda value: value / 4)),
        min_size=2,
        max_size=60,
    ).filter(lambda pairs: len({yes for yes, _ in pairs}) == 2)
)
@settings(deadline=None)
def test_auc_is_sklearns(pairs: list[tuple[bool, float]]) -> None:
    truth, score = (np.array(values) for values in zip(*pairs, strict=True))
    assert auc(truth, score) == pytest.approx(roc_auc_score(truth, score))


def test_auc_of_one_class_is_unknown() -> None:
    assert np.isnan(auc(np.ones(3), np.arange(3.0)))


def test_the_interval_holds_the_figure_and_shrinks_with_patients() -> None:
    random = np.random.default_rng(0)

    def interval(patients: int, images_each: int) -> float:
        truth = np.repeat(random.integers(0, 2, patients), images_each)
        score = truth.astype(float) + np.repeat(random.normal(0, 1.5, patients), images_each)
        names = [str(i // images_each) for i in range(truth.size)]
        found = auc_interval(truth, score, names, resamples=400)
        assert found.low <= found.value <= found.high
        return found.high - found.low

    assert interval(400, 1) < interval(60, 1)
    # The same patients imaged ten times tell hardly more than once.
    assert interval(60, 10) > 2 * interval(600, 1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        truth = random.integers(0, 2, 120)
        score = truth + random.normal(0, 1, 120)
        found = auc_interval(truth, score, [str(i) for i in range(120)], resamples=200)
        covered += found.low <= 0.7602 <= found.high  # of two normals one deviation apart
    assert covered >= 51


def test_shares_and_calibration() -> None:
    hits = np.array([True] * 30 + [False] * 10)
    found = share_interval(hits, [str(i) for i in range(40)])
    assert found.value == 0.75
    assert 0.5 < found.low < 0.75 < found.high < 0.95
    assert calibration_error(np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.5, 0.5])) == 0
    assert calibration_error(np.array([0, 0]), np.array([1.0, 1.0])) == 1


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=80),
    st.lists(st.integers(0, 1000), min_size=1, max_size=80),
    st.sampled_from([0.8, 0.85, 0.9, 0.95]),
)
@settings(deadline=None)
def test_thresholds_keep_their_word(ill: list[int], well: list[int], share: float) -> None:
    truth = np.array([1] * len(ill) + [0] * len(well))
    score = np.array(ill + well) / 1000
    assert (score[truth == 1] >= at_sensitivity(truth, score, share)).mean() >= share
    assert (score[truth == 0] < at_specificity(truth, score, share)).mean() >= share


def test_the_rival_is_logistic_regression() -> None:
    random = np.random.default_rng(2)
    features = random.normal(0, 1, (150, 8)).astype(np.float32)
    truth = (features[:, 0] + random.normal(0, 1, 150) > 0).astype(int)
    wide = features.astype(np.float64)
    standard = (wide - wide.mean(axis=0)) / (wide.std(axis=0) + 1e-6)
    theirs = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(standard, truth)
    ours = fitted_scores(features, truth, features)
    np.testing.assert_allclose(ours, theirs.decision_function(standard), atol=1e-3)


def test_the_cross_validated_rival_learns_nothing_from_noise() -> None:
    random = np.random.default_rng(3)
    features = random.normal(0, 1, (300, 16)).astype(np.float32)
    truth = random.integers(0, 2, 300)
    patients = [str(i // 2) for i in range(300)]
    assert 0.35 < auc(truth, cross_validated_scores(features, truth, patients)) < 0.65


@given(text=st.text(alphabet=st.characters(codec="utf-8")))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_file_of_labels_breaks_the_reader(text: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,abnormal\n" + text, encoding="utf-8", newline="")
    try:
        cases = read_cases(path)
    except DataError:
        return
    assert cases


@pytest.mark.parametrize(
    "content", ["", "file\na.png\n", "file,abnormal\na.png,maybe\n", "a;b\n1;2\n"]
)
def test_labels_that_cannot_be_used(content: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(DataError):
        read_cases(path)


def test_any_hospitals_own_images_can_judge(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    with (tmp_path / "labels.csv").open("w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "abnormal", "patient_key", "mass"])
        for i in range(24):
            pixels = random.integers(0, 255, (64, 64)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{i}.png")
            rows.writerow([f"{i}.png", i % 2, f"p{i // 2}", i % 2 if i < 20 else ""])
    out = tmp_path / "report.json"
    report = evaluate(open_bundle("cxr_triage"), tmp_path, tmp_path / "labels.csv", out)
    (group,) = report.groups
    assert (group.collection, group.split, group.images, group.patients) == ("all", "test", 24, 12)
    assert [row.label for row in group.labels] == ["abnormal", "mass"]
    assert (group.labels[1].positives, group.labels[1].negatives) == (10, 10)
    assert group.baseline_basis == "cross-validated"
    assert json.loads(out.read_text())["groups"][0]["images"] == 24
    assert "abnormal" in "\n".join(report.lines())


def test_confounded_sources_judge_nothing(training_data: Path) -> None:
    cases = read_cases(training_data / "labels.csv")
    judging = [case for case in cases if case.fit_for_judging]
    assert {case.source for case in cases} - {case.source for case in judging} == {
        "muhammedtalo/COVID-19"
    }
    adults = [case for case in judging if case.collection == "NIH-ChestX-ray14"]
    assert (len(adults), sum(case.labels[0] == 1 for case in adults)) == (721, 573)
