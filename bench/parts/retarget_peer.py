"""dex_retargeting on the cases of `bench/retarget.py`; run by it, in an environment of its own. Alone it does nothing.

    PYTHON bench/parts/retarget_peer.py CASES.json POINTS.npz RESULTS.npz

Each case is solved as it ships (limits widened by 1e-3 rad; timed, the low-pass apart), and once more within the exact limits.
"""

import json
import sys
import time


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__)
        return 0
    import numpy as np
    import torch
    from dex_retargeting.retargeting_config import RetargetingConfig  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    points = np.load(sys.argv[2])
    results = {}
    for case in cases:
        human = points[case["track"]]
        task, origin = np.array(case["task"]), np.array(case["origin"])
        ref = human[:, task] - human[:, origin] if case["relative"] else human[:, task]
        for way in ("shipped", "exact"):
            retargeting = RetargetingConfig.from_dict({**case["config"], "low_pass_alpha": 1}).build()
            retargeting.filter = None
            optimizer = retargeting.optimizer
            if way == "exact":
                optimizer.set_joint_limit(retargeting.joint_limits, epsilon=0)
            wanted = [retargeting.joint_names.index(name) for name in case["joints"]]
            course = np.empty((len(ref), len(wanted)))
            began = time.process_time()
            for t, target in enumerate(ref):
                course[t] = retargeting.retarget(target)[wanted]
            seconds = time.process_time() - began
            results[f"{case['name']}/{way}"] = course
            results[f"{case['name']}/{way}/s"] = np.array(seconds)
        print(f"  peer {case['name']}: {len(ref) / results[case['name'] + '/shipped/s']:.0f} frames/s", file=sys.stderr, flush=True)
    np.savez(sys.argv[3], **results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
