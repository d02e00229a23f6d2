"""Which proofs let whom in: floors as data, a policy above them, and one pure decision."""
