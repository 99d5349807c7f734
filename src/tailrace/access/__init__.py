"""Who may do what: the policy, who asks, the decision, CORS."""
