"""Who may do what: the policy, its decision, CORS."""
