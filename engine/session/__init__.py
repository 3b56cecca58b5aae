"""A performance: the three doors of a Session and what stands behind them."""
