"""Time of one step and of training, against ncps and nn.LSTM in the same run."""
