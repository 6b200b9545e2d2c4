"""Floor 7: thin Kedro pipelines; a node calls a job."""
