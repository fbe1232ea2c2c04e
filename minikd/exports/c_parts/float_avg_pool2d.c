/* The mean of each window; padding counts as zeros. */
static void avg_pool2d(const float *x, const MINIKD_FLASH struct windows *w, float *y)
{
    int32_t c, p, q, r, s;
    for (c = 0; c < w->channels; c++)
        for (p = 0; p < w->rows; p++)
            for (q = 0; q < w->columns; q++) {
                float sum = 0.0f;
                for (r = 0; r < w->kernel[0]; r++)
                    for (s = 0; s < w->kernel[1]; s++) {
                        int32_t place = pixel_of(w, p, q, r, s);
                        if (place >= 0) sum += x[c * w->height * w->width + place];
                    }
                *y++ = sum / (float)(w->kernel[0] * w->kernel[1]);
            }
}
