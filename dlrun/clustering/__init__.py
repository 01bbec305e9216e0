"""Groups in rows without a target: k-means and the measures by which k is chosen."""
