/* Small differences are allowed, because compilers add in another order. A NaN differs from everything. */
static int differs(float found, float right)
{
    float size = right < 0.0f ? -right : right, bound = 1e-4f * (size > 1.0f ? size : 1.0f);
    return !(found - right <= bound && right - found <= bound);
}
