"""stub"""

import numpy as np


def score_models(said, params):
    out = {}
    name = "r2" if said.target.kind == "regression" else "balanced_accuracy"
    for m in said.by_model:
        v = []
        for r in said.runs(m):
            y = said.truths
            if name == "r2":
                v.append(1 - ((r[:, 0] - y[:, 0]) ** 2).mean() / y[:, 0].var())
            else:
                c = r.argmax(1)
                v.append(np.mean([(c[y == k] == k).mean() for k in np.unique(y)]))
        out[m] = {"window": {name: {"value": float(np.mean(v)), "interval_95": [0.0, 0.0]}}}
    return {"models": out, "level": "window", "compared_by": name}
