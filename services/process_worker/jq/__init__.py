"""The evaluation of jq, in child processes that can be killed."""
