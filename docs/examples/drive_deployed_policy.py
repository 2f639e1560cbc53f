"""Drive a robot with its deployed policy: python drive_deployed_policy.py NAME.npz [STEPS]

Needs mujoco and numpy, and NAME.json and NAME.xml beside NAME.npz. Nothing of hdtui.
"""

import json
import sys
from pathlib import Path

import mujoco
import numpy as np

path, steps = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000
about = json.loads(path.with_suffix(".json").read_text())
if path.suffix != ".npz" or about["terrain"]:
    sys.exit(f"{path}: expected a policy for flat ground in an .npz file")
policy = np.load(path)
hidden = sorted(name for name in policy.files if name.startswith("hidden_weight"))
model = mujoco.MjModel.from_xml_path(str(path.with_suffix(".xml")))
data, jacobian = mujoco.MjData(model), np.zeros((2, 3, model.nv))
mujoco.mj_forward(model, data)
limbs, joints = about["input"]["limbs"], about["output"]["joints"]
head, start_m = data.body(limbs[0]), data.body(limbs[0]).xpos[0]
for _ in range(steps):
    rows = []
    for limb, names in zip(limbs, joints, strict=True):
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
    for name, value in zip(np.ravel(joints), action, strict=True):
        if name:
            data.actuator(name).ctrl = value
    mujoco.mj_step(model, data, about["timing"]["physics_steps_per_control_step"])
print(f"{about['robot']['name']}: {head.xpos[0] - start_m:.2f} m forward in {data.time:.1f} s")
