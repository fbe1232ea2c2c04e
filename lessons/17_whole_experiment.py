# %% [markdown]
# # THE LEAD WRITES THIS LESSON NOW (all four files). Helpers: leave it, go on with your next one and report.
