import { refreshStatus } from "./ui.js";
import "./link.js";

refreshStatus();
