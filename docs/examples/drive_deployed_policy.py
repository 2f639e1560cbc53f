"""Drive a robot with its deployed policy: python drive_deployed_policy.py NAME.npz [STEPS]

Needs Python 3.8 or newer, mujoco and numpy, and NAME.json and NAME.xml beside NAME.npz. Nothing
of hdtui; what it does by hand here, ``runtime.py`` does beside a copied policy (`means`).
"""

import json
import sys
from pathlib import Path

import mujoco
import numpy as np

words = sys.argv[1:]
if not words or len(words) > 2 or not all(word.isdigit() for word in words[1:]):
    sys.exit("expected NAME.npz and perhaps a number of control steps")
path, steps = Path(words[0]), int(words[1]) if words[1:] else 1000
try:
    about = json.loads(path.with_suffix(".json").read_text())
    if path.suffix != ".npz" or about["terrain"]:
        sys.exit(f"{path}: expected a policy for flat ground in an .npz file")
    policy = dict(np.load(path))
    scene = path.with_suffix(".xml").read_text()
except (OSError, ValueError, KeyError, TypeError) as error:
    sys.exit(
        f"{path}: no deployed policy ({error}); NAME.npz, NAME.json and NAME.xml lie side by side,"
        " as `hdtui deploy --out` copies them"
    )
hidden = sorted(name for name in policy if name.startswith("hidden_weight"))
model = mujoco.MjModel.from_xml_string(scene)
data, jacobian = mujoco.MjData(model), np.zeros((2, 3, model.nv))
mujoco.mj_forward(model, data)
limbs, joints = about["input"]["limbs"], about["output"]["joints"]
head, start_m = data.body(limbs[0]), data.body(limbs[0]).xpos[0]
for _ in range(steps):
    rows = []
    for limb, names in zip(limbs, joints):  # noqa: B905 - Python 3.8 has no strict
        body = data.body(limb)
        mujoco.mj_jacBody(model, data, jacobian[0], jacobian[1], body.id)
        rows += [*(body.xpos - [head.xpos[0], 0, 0]), *(jacobian @ data.qvel).flat, *body.xquat]
        for name in names:
            low, high = about["input"]["joint_range_rad"].get(name, (0, 1))
            angle, speed = (data.joint(name).qpos[0], data.joint(name).qvel[0]) if name else (0, 0)
            rows += [(angle - low) / (high - low), speed]
    seen = np.reshape(rows, (len(limbs), -1))
    features = np.clip(seen, policy["observation_low"], policy["observation_high"]).ravel()
    for weight in ["input_weight", *hidden]:
        bias = policy[weight.replace("weight", "bias")]
        features = np.maximum(features @ policy[weight] + bias, 0)
    action = np.clip(features @ policy["output_weight"] + policy["output_bias"], -1, 1)
    for name, value in zip(np.ravel(joints), action):  # noqa: B905
        if name:
            data.actuator(name).ctrl = value
    mujoco.mj_step(model, data, about["timing"]["physics_steps_per_control_step"])
print(f"{about['robot']['name']}: {head.xpos[0] - start_m:.2f} m forward in {data.time:.1f} s")
