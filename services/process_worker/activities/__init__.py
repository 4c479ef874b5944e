"""What happens outside of workflows, once or again."""
