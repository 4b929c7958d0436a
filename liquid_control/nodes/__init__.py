"""ROS 2 nodes: controller, simulator, recorder; thin, what they do is in the other folders."""
