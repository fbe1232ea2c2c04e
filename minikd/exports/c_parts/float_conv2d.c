/* A convolution; outside the image there are zeros. */
static void conv2d(const float *x, const MINIKD_FLASH struct windows *w, const MINIKD_FLASH float *weight,
                   const MINIKD_FLASH float *bias, float *y)
{
    int32_t each = w->channels / w->groups, per_output = each * w->kernel[0] * w->kernel[1];
    int32_t o, p, q, c, r, s;
    for (o = 0; o < w->outputs; o++) {
        int32_t first = o / (w->outputs / w->groups) * each;
        for (p = 0; p < w->rows; p++)
            for (q = 0; q < w->columns; q++) {
                const MINIKD_FLASH float *factor = weight + o * per_output;
                float sum = 0.0f;
                for (c = first; c < first + each; c++)
                    for (r = 0; r < w->kernel[0]; r++)
                        for (s = 0; s < w->kernel[1]; s++, factor++) {
                            int32_t place = pixel_of(w, p, q, r, s);
                            if (place >= 0) sum += *factor * x[c * w->height * w->width + place];
                        }
                *y++ = sum + bias[o];
            }
    }
}
