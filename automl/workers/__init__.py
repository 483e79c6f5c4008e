"""The processes that search: local and remote workers, who starts and replaces them, and their leases."""
