"""Both training stages in one loop; a stage is data (see `recipe.Stage`), not code."""
