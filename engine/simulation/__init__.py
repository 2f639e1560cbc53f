"""The only home of MuJoCo: compile robots into scenes and step many of them at once.

Importing this package turns MuJoCo's own log off: an unstable simulation would otherwise write
``MUJOCO_LOG.TXT`` into whatever directory the process runs in. Explosions are noticed and counted
by ``engine.simulation.simulations`` instead.
"""

import mujoco


def _silence_mujoco_log() -> None:
    config = mujoco.MjLogConfig.get()
    config.logto_file = False
    config.logto_console = False
    config.set()


_silence_mujoco_log()
