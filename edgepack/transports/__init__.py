"""Where commands run: this machine, a machine behind ssh, a device behind adb."""
