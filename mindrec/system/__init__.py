"""Files, devices, memory and processes: everything that touches the machine."""
