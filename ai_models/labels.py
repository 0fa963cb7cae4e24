"""What the chest radiograph models are asked about, in the order of their outputs."""

FINDINGS: tuple[str, ...] = (
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "edema",
    "effusion",
    "emphysema",
    "fibrosis",
    "hernia",
    "infiltration",
    "mass",
    "nodule",
    "pleural_thickening",
    "pneumonia",
    "pneumothorax",
)
ABNORMAL = "abnormal"
LABELS: tuple[str, ...] = (ABNORMAL, *FINDINGS)
