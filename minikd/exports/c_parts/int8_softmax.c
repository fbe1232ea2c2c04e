#ifdef MINIKD_SOFTMAX
#include <math.h>
void minikd_softmax(const int32_t logits[MINIKD_CLASSES], float temperature, float probabilities[MINIKD_CLASSES])
{
    float sum = 0.0f;
    int k, top = largest(logits);
    for (k = 0; k < MINIKD_CLASSES; k++)
        sum += probabilities[k] = expf((float)(logits[k] - logits[top]) * MINIKD_LOGIT_SCALE / temperature);
    for (k = 0; k < MINIKD_CLASSES; k++) probabilities[k] /= sum;
}
#endif
