"""What every HTTP answer of Meterboard shares: the status of an error, problem documents, and answers without a framework."""
