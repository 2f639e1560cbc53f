"""Drive a robot with its deployed policy: python drive_deployed_policy.py NAME.npz [STEPS]

Needs mujoco and numpy, and NAME.json and NAME.xml beside NAME.npz. Nothing of hdtui.
"""

import json
import sys
from pathlib import Path

import mujoco
import numpy as np

path = Path(sys.argv[1])
policy, about = np.load(path), json.loads(path.with_suffix(".json").read_text())
model = mujoco.MjModel.from_xml_path(str(path.with_suffix(".xml")))
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
jacobian = np.zeros((2, 3, model.nv))


def observe():
    rows = []
    for limb, joints in zip(about["input"]["limbs"], about["output"]["joints"], strict=True):
        body = data.body(limb)
        mujoco.mj_jacBody(model, data, jacobian[0], jacobian[1], body.id)
        row = [*(body.xpos - [head.xpos[0], 0, 0]), *(jacobian @ data.qvel).flat, *body.xquat]
        for name in joints:
            low, high = about["input"]["joint_range_rad"].get(name, (0, 1))
            joint = data.joint(name) if name else None
            row += [(joint.qpos[0] - low) / (high - low), joint.qvel[0]] if joint else [0, 0]
        rows.append(row)
    return np.clip(rows, policy["observation_low"], policy["observation_high"]).ravel()


def act(features):
    features = np.maximum(features @ policy["input_weight"] + policy["input_bias"], 0)
    for k in range(sum(name.startswith("hidden_weight") for name in policy.files)):
        weight, bias = policy[f"hidden_weight_{k}"], policy[f"hidden_bias_{k}"]
        features = np.maximum(features @ weight + bias, 0)
    return features @ policy["output_weight"] + policy["output_bias"]


head = data.body(about["input"]["limbs"][0])
motors = [(k, n) for k, n in enumerate(np.ravel(about["output"]["joints"])) if n]
for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1000):
    action = np.clip(act(observe()), -1, 1)
    for index, name in motors:
        data.actuator(name).ctrl = action[index]
    mujoco.mj_step(model, data, about["timing"]["physics_steps_per_control_step"])
print(f"{about['robot']['name']}: {head.xpos[0]:.2f} m forward in {data.time:.1f} s")
