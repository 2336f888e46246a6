// SPDX-License-Identifier: BSD-3-Clause
//
// The simulation's own random numbers (splitmix64): cheap, repeatable, and apart from those of the
// gate, so that what it draws changes nothing of the world around it. Not for secrets.
#ifndef RELAYGATE_SIM_DICE_H
#define RELAYGATE_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_u64(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

// In [0, bound), near enough to uniform; bound > 0.
static inline uint32_t dice_below(struct dice *dice, uint32_t bound)
{
	return (uint32_t)(((dice_u64(dice) >> 32) * bound) >> 32);
}

// In [low, high].
static inline uint32_t dice_between(struct dice *dice, uint32_t low, uint32_t high)
{
	return low + dice_below(dice, high - low + 1);
}

static inline bool dice_permille(struct dice *dice, uint32_t permille)
{
	return permille && dice_below(dice, 1000) < permille;
}

static inline bool dice_one_in(struct dice *dice, uint32_t count)
{
	return dice_below(dice, count) == 0;
}

// Another stream of numbers that follows from this one.
static inline struct dice dice_split(struct dice *dice)
{
	return (struct dice){dice_u64(dice)};
}

#endif
