"""Who runs a job. `base` has the contract, `local` runs child processes, `child` is the loop inside one."""
