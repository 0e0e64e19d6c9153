"""The served half: nothing here yet but the room for it; models are SavedModels that TensorFlow Serving loads."""
