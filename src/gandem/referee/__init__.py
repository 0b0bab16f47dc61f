"""The referee: watches a training, keeps its best moment, and steps in when it goes wrong."""
