"""Floor 7: thin Kedro pipelines. A node calls a job."""
