"""The queue: the job table, who claims from it, and what is told live about a running job."""
