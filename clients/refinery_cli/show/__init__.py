"""Shows answers: tables for people, JSON for programs, failures in a sentence."""
