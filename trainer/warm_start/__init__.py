"""Start a training from the weights of the champion, the model of the current release."""
