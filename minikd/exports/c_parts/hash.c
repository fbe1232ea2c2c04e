/* CRC-32 (that of zlib), bit by bit: no table. */
static uint32_t hashed(uint32_t hash, uint8_t byte)
{
    uint8_t bit;
    hash ^= byte;
    for (bit = 0; bit < 8; bit++) hash = (hash >> 1) ^ ((hash & 1u) ? UINT32_C(0xEDB88320) : 0u);
    return hash;
}

/* Four bytes, the lowest first, on every machine. */
static uint32_t hashed_word(uint32_t hash, uint32_t word)
{
    uint8_t byte;
    for (byte = 0; byte < 4; byte++) hash = hashed(hash, (uint8_t)(word >> (8 * byte)));
    return hash;
}
