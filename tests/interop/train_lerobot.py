"""LeRobot's own training command, with our preparation in front. Runs in LeRobot's own environment."""

import with_lerobot

with_lerobot.prepare()

from lerobot.scripts.lerobot_train import main  # noqa: E402

main()
