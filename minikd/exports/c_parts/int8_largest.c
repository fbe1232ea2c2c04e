/* The class of the largest logit; the first one if several are equal. */
static int largest(const int32_t *logits)
{
    int k, best = 0;
    for (k = 1; k < MINIKD_CLASSES; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}
