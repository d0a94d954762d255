"""Pairs of sqlalchemy-utils' encrypted type, for comparison: PYTHON encrypted_type.py PAIRS ROUNDS, prints the seconds of a pair for
each engine: the default one, and the one with authentication.

Run by `benchmarks/bench_vault.py` under an interpreter that has sqlalchemy-utils, which carelink neither imports nor installs.
"""

import sys
import time

from sqlalchemy_utils.types.encrypted.encrypted_type import AesEngine, AesGcmEngine, StringEncryptedType

VALUE = "13812345678, 林小满"


def main() -> int:
    """Time both engines."""
    pairs, rounds = int(sys.argv[1]), int(sys.argv[2])
    for engine in (AesEngine, AesGcmEngine):
        padding = {"padding": "pkcs5"} if engine is AesEngine else {}
        kind = StringEncryptedType(key="a secret of the application", engine=engine, **padding)
        best = float("inf")
        for _ in range(rounds):
            began = time.process_time()
            for _ in range(pairs):
                assert kind.process_result_value(kind.process_bind_param(VALUE, None), None) == VALUE
            best = min(best, (time.process_time() - began) / pairs)
        print(best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
