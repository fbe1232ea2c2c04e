#ifdef MINIKD_SOFTMAX
#include <math.h>
void minikd_softmax(const float logits[MINIKD_CLASSES], float temperature, float probabilities[MINIKD_CLASSES])
{
    float top = logits[largest(logits)], sum = 0.0f;
    int k;
    for (k = 0; k < MINIKD_CLASSES; k++) sum += probabilities[k] = expf((logits[k] - top) / temperature);
    for (k = 0; k < MINIKD_CLASSES; k++) probabilities[k] /= sum;
}
#endif
