"""What the neurons of a policy do in its flights, and what is lost without one."""
