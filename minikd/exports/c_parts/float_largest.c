/* The class of the largest logit; of equals, the first. */
static int largest(const float *logits)
{
    int k, best = 0;
    for (k = 1; k < MINIKD_CLASSES; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}
