"""Retrain again and again: decide, train, try, promote or roll back, with a ledger of it all."""
