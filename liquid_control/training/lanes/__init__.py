"""The same formulas as straight-line machine code: traced once, differentiated, compiled.

`symbols` records what a formula does to its components, `adjoint` adds its reverse derivative,
`source` writes both as C++ on vectors of LANES environments, `build` compiles that once a machine.
Use it where torch would spend its time on calling small operations; a formula that can't be traced
runs in torch.
"""
