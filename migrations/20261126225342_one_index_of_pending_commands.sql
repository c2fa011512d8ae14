-- With nothing pending the planner finds both partial indexes equally cheap, and a plan made then goes through all that is pending
-- for each workflow later, when the engine is away. What is pending is looked up by workflow; the sweeper reads all heads.
drop index engine_commands_pending;
